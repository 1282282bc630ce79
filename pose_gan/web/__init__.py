"""Local pages in the browser. They need the extra `[web]`."""
