"""Arrays on grids: reading and writing, resampling, cropping, intensities, connected components."""
