"""The OCPI modules: one folder each, with the objects of the spec and the routes that carry them."""
