// A small HTTP/1.1 server for pages on this machine alone: loopback, GET and HEAD, one request per connection, one
// thread.  It answers only requests whose Host is this machine's loopback, so that no page of another site reaches it
// by a name of its own (DNS rebinding), and its answers forbid pages to load or send anything elsewhere.
#ifndef VKDIT_HTTP_H
#define VKDIT_HTTP_H

#include <stdbool.h>
#include <stddef.h>

#include "vkd/status.h"

enum { HTTP_PATH_MAX = 1024 };

struct http_request {
  char path[HTTP_PATH_MAX]; // decoded, without the query; begins with '/' and holds no byte below 32
};

struct http_response {
  int status;       // 200, or the code of an error
  const char *type; // of the body
  char *body;       // [size], malloc'd; the server frees it.  NULL: a line that tells the status
  size_t size;
};

typedef void http_handler(void *user, const struct http_request *request, struct http_response *response);

struct http_server;

// Listens on 127.0.0.1.  port 0: a free one.  Errors: VKD_ERR_USAGE where it is taken or not allowed.
enum vkd_status http_open(struct http_server **out, int port, struct vkd_error *err);
int http_port(const struct http_server *server);
// Serves until a byte can be read from the file descriptor `stop`.
enum vkd_status http_serve(struct http_server *server, int stop, http_handler *handler, void *user,
                           struct vkd_error *err);
void http_close(struct http_server **server); // NULL inside is fine

#endif
