"""Postgres and Redis of ftportal's own, for a machine that has none: started, watched and stopped with us."""
