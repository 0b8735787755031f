"""Training: data sets by class name, fine-tuning, evaluation, export."""
