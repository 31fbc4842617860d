"""What makes .aec files pictures on the desktop of one user."""
