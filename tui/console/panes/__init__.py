"""What stands side by side on the console: one widget for each thing that an operator watches."""
