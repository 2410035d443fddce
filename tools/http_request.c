#include "http_request.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

static int digit(char c) {
  return c >= '0' && c <= '9'   ? c - '0'
         : c >= 'a' && c <= 'f' ? c - 'a' + 10
         : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                : -1;
}

// The path of a target up to its query, percent-decoded.
static int decode(const char *target, char out[HTTP_PATH_MAX]) {
  size_t n = 0;
  if (*target != '/') return 400;
  for (const char *s = target; *s && *s != '?' && *s != '#'; s++) {
    int c = (unsigned char)*s;
    if (c == '%') {
      int high = digit(s[1]), low = high < 0 ? -1 : digit(s[2]);
      if (low < 0) return 400;
      c = high << 4 | low;
      s += 2;
    }
    if (c < 32 || c == 127) return 400;
    if (n + 1 >= HTTP_PATH_MAX) return 414;
    out[n++] = (char)c;
  }
  out[n] = 0;
  return 200;
}

// "localhost", "127.0.0.1" or "[::1]", and a port or none.
static bool is_loopback(const char *host) {
  static const char *const names[] = {"localhost", "127.0.0.1", "[::1]"};
  for (int i = 0; i < 3; i++) {
    size_t n = strlen(names[i]);
    if (strncasecmp(host, names[i], n)) continue;
    if (!host[n]) return true;
    const char *port = host + n + 1;
    return host[n] == ':' && *port && strspn(port, "0123456789") == strlen(port);
  }
  return false;
}

static char *trimmed(char *text) {
  while (*text == ' ' || *text == '\t') text++;
  size_t n = strlen(text);
  while (n && (text[n - 1] == ' ' || text[n - 1] == '\t')) text[--n] = 0;
  return text;
}

// Cuts the line at *at, which is moved past its end; NULL: no line is left, or it does not end as lines must.
static char *next_line(char **at) {
  char *line = *at, *end = strstr(line, "\r\n");
  if (!end) return NULL;
  *end = 0;
  *at = end + 2;
  return line;
}

static int check_fields(char *at) {
  int hosts = 0;
  for (char *line; (line = next_line(&at)) && *line;) {
    char *colon = strchr(line, ':');
    if (!colon || colon == line || strpbrk(line, "\n")) return 400;
    for (char *c = line; c < colon; c++)
      if (!isgraph((unsigned char)*c)) return 400;
    *colon = 0;
    const char *value = trimmed(colon + 1);
    if (!strcasecmp(line, "host")) {
      if (hosts++) return 400;
      if (!is_loopback(value)) return 403;
    }
    bool body = !strcasecmp(line, "transfer-encoding") ||
                (!strcasecmp(line, "content-length") && strspn(value, "0") != strlen(value));
    if (body) return 413;
  }
  return hosts ? 200 : 400;
}

int http_parse(char *text, struct http_request *request, bool *head) {
  char *at = text, *line = next_line(&at);
  char *target = line ? strchr(line, ' ') : NULL, *version = target ? strchr(target + 1, ' ') : NULL;
  if (!version) return 400;
  *target++ = 0;
  *version++ = 0;
  *head = !strcmp(line, "HEAD");
  if (strncmp(version, "HTTP/1.", 7) || !isdigit((unsigned char)version[7]) || version[8])
    return strncmp(version, "HTTP/", 5) ? 400 : 505;
  if (!*head && strcmp(line, "GET")) return 405;
  int status = check_fields(at);
  return status == 200 ? decode(target, request->path) : status;
}
