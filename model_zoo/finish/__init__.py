"""What happens to a proposal before people see it: cleaning, fitting, pictures, viewer copies, no duplicates."""
