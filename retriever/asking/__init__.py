"""What asks a retriever: requests, answers, errors and the channel of the client."""
