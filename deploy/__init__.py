"""What starts and runs the project: embedded services, the supervisor, container files."""
