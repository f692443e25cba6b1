"""What training costs: traces of the loop's own step, parameters, operations, memory."""
