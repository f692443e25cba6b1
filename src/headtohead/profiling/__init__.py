"""The cost of training: traces of the training loop's own step, parameters, operations, memory."""
