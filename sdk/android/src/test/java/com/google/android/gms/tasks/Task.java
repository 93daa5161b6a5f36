package com.google.android.gms.tasks;

/** Stands in for the class of this name in Google's library. */
public abstract class Task<T> {
  public abstract boolean isSuccessful();

  public abstract T getResult();

  public abstract Exception getException();

  public abstract Task<T> addOnCompleteListener(OnCompleteListener<T> listener);
}
