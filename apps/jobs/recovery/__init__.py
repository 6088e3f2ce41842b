"""A provider's past brought over: files as data, jobs with their history; and a way on for a model about to die."""
