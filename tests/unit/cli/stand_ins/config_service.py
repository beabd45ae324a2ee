from stand_in import serve

serve("SIE_CONFIG_HTTP_PORT")
