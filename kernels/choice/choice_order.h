/* The order of a table's rows, for sorting and searching: an rf_choice each. */
#ifndef RF_CHOICE_ORDER_H
#define RF_CHOICE_ORDER_H

#ifdef __cplusplus
extern "C" {
#endif

int rf_choice_order(const void *first, const void *second);

#ifdef __cplusplus
}
#endif
#endif
