"""What is wrong with the documents of a packed run, seen in the data: signs, a reference of healthy text, findings."""
