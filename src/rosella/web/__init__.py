"""What every page over HTTP needs: its files, refusals, limits of what is sent, who asks from elsewhere, listening."""
