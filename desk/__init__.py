"""The desk: the control centre that hears every column, keeps the register, and shows it to the duty officer."""
