package com.google.firebase.messaging;

import borealis.android.Maker;
import com.google.android.gms.tasks.OnCompleteListener;
import com.google.android.gms.tasks.Task;

/** Stands in for the class of this name in Google's library. */
public class FirebaseMessaging {
  public static FirebaseMessaging getInstance() {
    return new FirebaseMessaging();
  }

  public Task<String> getToken() {
    Maker.calls.add("firebase");
    return new Answered();
  }

  // Not public, as the real ones are not.
  private static final class Answered extends Task<String> {
    @Override
    public boolean isSuccessful() {
      return Maker.failure == 0;
    }

    @Override
    public String getResult() {
      return Maker.token;
    }

    @Override
    public Exception getException() {
      return new Exception("code " + Maker.failure);
    }

    @Override
    public Task<String> addOnCompleteListener(OnCompleteListener<String> listener) {
      listener.onComplete(this);
      return this;
    }
  }
}
