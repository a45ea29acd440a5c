"""What each GAN trainer reads."""
