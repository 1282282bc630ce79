"""Networks on disk: our models, those of the authors' release, formats for other programs, and the run folder."""
