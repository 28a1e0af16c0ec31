"""One module per noun: validate, call one function, return."""
