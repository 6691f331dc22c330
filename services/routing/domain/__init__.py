"""What routing knows about documents and deliveries, without any input or output."""
