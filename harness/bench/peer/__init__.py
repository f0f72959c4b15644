"""Other people's training, run by themselves in processes of their own."""
