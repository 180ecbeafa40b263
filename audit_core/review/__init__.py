"""The review desk: three persons read one pack and decide about it."""
