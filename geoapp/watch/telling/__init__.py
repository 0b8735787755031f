"""Telling: changes that open maps hear of are also told to receivers outside (webhooks, robots, MQTT, e-mail)."""
