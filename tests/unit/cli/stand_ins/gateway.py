from stand_in import serve

serve("SIE_HTTP_PORT")
