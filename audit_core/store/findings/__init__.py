"""The findings register: what people recorded about results, with every change."""
