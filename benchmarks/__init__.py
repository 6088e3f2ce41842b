"""What `make bench` runs: each script prints one line a measurement, against its limit."""
