package com.google.android.gms.tasks;

/** Stands in for the interface of this name in Google's library. */
public interface OnCompleteListener<T> {
  void onComplete(Task<T> task);
}
