// What a client has sent, taken apart.
#ifndef VKDIT_HTTP_REQUEST_H
#define VKDIT_HTTP_REQUEST_H

#include "http.h"

// text: a head up to its empty line, ended by 0, which is changed.  Returns 200, or the status that refuses it.  *head:
// the method is HEAD.
int http_parse(char *text, struct http_request *request, bool *head);

#endif
