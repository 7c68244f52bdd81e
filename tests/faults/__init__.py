"""What happens to runs from outside: kill -9 at any moment."""
