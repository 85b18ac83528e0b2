"""What trainer and retriever share: the contract on disk, volumes, and how a service is hosted."""
