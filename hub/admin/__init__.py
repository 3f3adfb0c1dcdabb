"""The operator's side of the hub: the API behind `knutpunkt`'s commands (`api`), one module per topic."""
