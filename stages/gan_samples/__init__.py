"""The samples of a trained GAN, evaluated."""
