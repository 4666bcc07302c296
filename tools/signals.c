/* The handler does only what is async-signal-safe: one flag, one write(2), _exit(2). */
#include "tools/signals.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static atomic_int caught; /* the first signal's number; lock-free, so a handler may set it */

static atomic_int held;  /* 1: a file is being written, for a moment */
static atomic_int hurry; /* a second signal came while it was held */

/* Starts with a line break: a progress line may stand on the terminal. */
static const char NOTICE[] = "\nrefinery: interrupted: stopping soon (again to quit at once)\n";

static void on_signal(int number)
{
    int none = 0;
    if (!atomic_compare_exchange_strong(&caught, &none, number)) {
        atomic_store(&hurry, 1);
        if (!atomic_load(&held)) _exit(128 + number);
        return;
    }
    const int saved = errno;
    const int skip = !isatty(STDERR_FILENO); /* no progress line there */
    if (write(STDERR_FILENO, NOTICE + skip, sizeof NOTICE - 1 - (size_t)skip) < 0) {
        /* nobody is listening: the exit code says it */
    }
    errno = saved;
}

rf_status rf_signals_install(rf_error *err)
{
    struct sigaction stop = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    struct sigaction ignore = {.sa_handler = SIG_IGN}, hangup = {.sa_handler = SIG_DFL};
    sigemptyset(&stop.sa_mask);
    sigemptyset(&ignore.sa_mask);
    if (sigaction(SIGINT, &stop, NULL) || sigaction(SIGTERM, &stop, NULL) ||
        sigaction(SIGPIPE, &ignore, NULL) || sigaction(SIGXFSZ, &ignore, NULL) ||
        sigaction(SIGHUP, NULL, &hangup))
        return rf_fail(err, RF_E_BUG, "cannot handle signals: %s", strerror(errno));
    /* nohup ignores it on purpose; else a closed terminal must not leave half a file behind. */
    if (hangup.sa_handler != SIG_IGN && sigaction(SIGHUP, &stop, NULL))
        return rf_fail(err, RF_E_BUG, "cannot handle signals: %s", strerror(errno));
    return RF_OK;
}

void rf_signals_hold(void)
{
    atomic_store(&held, 1);
}

void rf_signals_release(void)
{
    atomic_store(&held, 0);
    if (atomic_load(&hurry)) _exit(rf_signals_caught());
}

int rf_signals_caught(void)
{
    const int number = atomic_load(&caught);
    return number ? 128 + number : 0;
}

const atomic_int *rf_signals_flag(void)
{
    return &caught;
}
