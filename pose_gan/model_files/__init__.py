"""Networks on disk: models of ours and of the authors' release, formats for other programs, a run's folder."""
