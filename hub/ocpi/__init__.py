"""OCPI on the wire: values, JSON, errors and messages, without a database and without a web framework."""
