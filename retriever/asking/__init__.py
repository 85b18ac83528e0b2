"""What asks a retriever: requests, answers and errors of the client, and the commands that use it."""
