"""What each `ftportal` command does; ftportal/cli.py reads the command line."""
