"""Opening and writing files that other parties may touch."""
