/* Quantiles of the beta distribution, for the schedule Beta. */
#ifndef RF_BETA_H
#define RF_BETA_H

/* x in 0..1 with I_x(a, b) = p (the regularised incomplete beta function); a, b > 0, p in 0..1.
 * Within 1e-12 for the parameters of a schedule (0.1 .. 10). */
double rf_beta_quantile(double p, double a, double b);

#endif
