"""What a model's batches cost: the price library's word, or the user's."""
