"""Models: what a member is, how its file is opened, and how each family turns a soundscape into scores."""
