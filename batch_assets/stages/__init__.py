"""The verbs of a partition's way. A stage plans with pure functions, then acts."""
