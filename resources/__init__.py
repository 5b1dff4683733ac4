"""What Dagster injects: one file per outside system, each with the adapter and its resource."""
