"""Around every page: router, sign-in, navigation, links, framing."""
