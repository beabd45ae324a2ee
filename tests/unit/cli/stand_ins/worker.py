from stand_in import serve

serve("SIE_WORKER_HTTP_PORT")
