"""CDRs: charge detail records, the final word on a session."""
