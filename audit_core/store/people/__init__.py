"""Sign-ins, disabled people and refused actions."""
